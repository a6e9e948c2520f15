"""How many processors a thread computes on."""

import threading

import torch


def use_one_processor() -> None:
    """Let the calling thread compute by itself, so that the others are left to the rest of the program.

    torch keeps this number for each thread, but notes it too for threads that have not computed yet; a thread that
    ends at once puts that right. On a busy machine one thread is also faster than several that wait for each other.
    """
    before = torch.get_num_threads()  # asked first: a thread that never computed would take its number from the note
    torch.set_num_threads(1)
    restoring = threading.Thread(target=torch.set_num_threads, args=(before,))
    restoring.start()
    restoring.join()
