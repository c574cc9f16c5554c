"""The fault matrix: the real processes beside a broker that misbehaves, killed again and again, and then compared."""
