"""A stack and its use."""
import os
import sys

LIMIT = 100


class Stack:
    """Last in, first out; a comment long enough to count as a block of its own."""

    def push(self, item):
        self.items.append(item)

    def pop(self):
        return self.items.pop()


def main():
    """Reads lines and prints them in reverse, which is what a stack is good for."""
    stack = Stack()
    for line in sys.stdin:
        stack.push(line)
