"""A loopback server that answers like the Messages API of the SDK that is installed; see `server`."""
