"""`probes.wire`, held against OpenSSL over memory buffers and against arbitrary bytes."""
