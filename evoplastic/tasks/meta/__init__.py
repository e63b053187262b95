"""Meta-tasks: small decision problems whose variables are drawn anew for every instance."""
