"""Boards: one file per board, and the table of them."""
