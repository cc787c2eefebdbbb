"""python -m rfcodec."""

from rfcodec.cli import main

if __name__ == "__main__":
    main()
