"""Exercises whose solutions are known to be right: one small program in six languages, with tests and wordings.

A family draws a problem and writes its solution once, in a small typed language (`ir`). The interpreter says what the
tests expect; the emitters write the solution as a programmer of each language would; the sandbox confirms them all.
"""
