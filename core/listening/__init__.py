"""Listening tests: ABX and preference, and MUSHRA."""
