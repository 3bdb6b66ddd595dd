"""The `integrity` check: does the patch do anything to its judges instead of to the problem?"""
