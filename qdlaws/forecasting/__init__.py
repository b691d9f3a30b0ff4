"""Forecasts of quality, diversity and entropy, a prior learnt from other runs, backtests."""
