"""What a program writes to a terminal."""
import fcntl
import os
import struct
import subprocess
import termios


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


def run(words, columns, env):
    """What the command writes to a terminal that is so wide."""
    ours, its = os.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))
    proc = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=its, stderr=its, env=env)
    os.close(its)
    said = read_all(ours)
    proc.wait()
    return said.decode()
