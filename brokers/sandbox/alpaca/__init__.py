"""The venue in Alpaca's words: Trading API v2 and Market Data API v2."""
