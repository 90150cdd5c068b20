def main() -> None:
    """Command line."""
