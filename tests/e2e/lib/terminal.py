"""What a program writes to a terminal."""
import os


def read_all(terminal):
    """All until the other end of the pseudo-terminal is closed; closes this one."""
    said = b''
    try:
        while part := os.read(terminal, 65536):
            said += part
    except OSError:                            # the other end is closed
        pass
    os.close(terminal)
    return said
