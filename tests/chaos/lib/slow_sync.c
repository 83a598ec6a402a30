/* Makes fsync and fdatasync of a node slow: preloaded into its process by `slow-disk`.
 * The file named by QUORATE_CHAOS_SYNC_DELAY holds milliseconds; it may change at any time. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void wait_a_little(void)
{
    const char *path = getenv("QUORATE_CHAOS_SYNC_DELAY");
    char text[16] = "";
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    ssize_t bytes = read(file, text, sizeof text - 1);
    close(file);
    long ms = bytes > 0 ? strtol(text, NULL, 10) : 0;
    if (ms <= 0 || ms > 10000)
        return;
    struct timespec pause = { ms / 1000, ms % 1000 * 1000000 };
    nanosleep(&pause, NULL);
}

int fdatasync(int file)
{
    wait_a_little();
    return (int)syscall(SYS_fdatasync, file);
}

int fsync(int file)
{
    wait_a_little();
    return (int)syscall(SYS_fsync, file);
}
