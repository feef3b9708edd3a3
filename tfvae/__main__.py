"""`python -m tfvae`, the same as the console script `tfvae`."""

import sys

from tfvae_cli import main

if __name__ == "__main__":
    sys.exit(main())
