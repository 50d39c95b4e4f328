"""Binary search in a sorted list: halve the range until the value is found."""


def binary_search(items, wanted):
    """Return the index of `wanted` in the sorted list `items`, or -1.

    Takes O(log n) comparisons: a list of a million items needs about twenty.
    """
    low, high = 0, len(items) - 1
    while low <= high:
        middle = (low + high) // 2
        if items[middle] == wanted:
            return middle
        if items[middle] < wanted:
            low = middle + 1
        else:
            high = middle - 1
    return -1


def insertion_point(items, wanted):
    """Return where `wanted` would have to be inserted to keep `items` sorted."""
    low, high = 0, len(items)
    while low < high:
        middle = (low + high) // 2
        if items[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low
