"""The ground floor: artifact store, configuration, errors, units, metering, progress. Imports nothing of kiban."""
