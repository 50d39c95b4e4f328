// debounce.js: call a function only after the caller has been quiet for a while.
// Useful for search boxes (wait until the user stops typing) and window resizing.

export function debounce(fn, waitMs) {
  let timer = null;
  return function (...args) {
    clearTimeout(timer);
    timer = setTimeout(() => fn.apply(this, args), waitMs);
  };
}

// throttle: at most one call in every interval, however often it is asked for.
export function throttle(fn, intervalMs) {
  let last = 0;
  return function (...args) {
    const now = Date.now();
    if (now - last >= intervalMs) {
      last = now;
      fn.apply(this, args);
    }
  };
}
