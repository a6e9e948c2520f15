"""How many processors a thread computes on."""

import threading

import torch

_NOTE = threading.Lock()


def use_one_processor() -> None:
    """Let the calling thread compute by itself, so that the others are left to the rest of the program.

    torch keeps this number for each thread, but notes it too for threads that have not computed yet; a thread that
    ends at once puts that right. On a busy machine one thread is also faster than several that wait for each other.
    """
    with _NOTE:  # a second thread here would take the first one's 1 for what to put back
        before = torch.get_num_threads()  # asked first: a thread that never computed takes its number from the note
        torch.set_num_threads(1)
        restoring = threading.Thread(target=torch.set_num_threads, args=(before,))
        restoring.start()
        restoring.join()
