"""The venue as Interactive Brokers' TWS or Gateway shows it: the socket API in text, server version 176."""
