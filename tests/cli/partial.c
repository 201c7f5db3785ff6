/* Runs a program whose reads and writes each carry half of what they could, from the moment that it forbids core dumps:
 * the loader before that does not know how to read on. Prints how many calls were halved. x86-64 Linux only. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 65536

static char armed[PROCESSES];
static char inside[PROCESSES];

int main(int count, char **arguments) {
    if (count < 2) return 125;
    pid_t first = fork();
    if (first < 0) return 125;
    if (first == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execv(arguments[1], arguments + 1);
        _exit(127);
    }
    int status, code = 125;
    long halved = 0;
    waitpid(first, &status, 0);
    ptrace(PTRACE_SETOPTIONS, first, 0,
           PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC |
               PTRACE_O_EXITKILL);
    ptrace(PTRACE_SYSCALL, first, 0, 0);
    for (;;) {
        pid_t process = waitpid(-1, &status, __WALL);
        if (process < 0) {
            if (errno == EINTR) continue;
            break;
        }
        int at = process % PROCESSES;
        if (!WIFSTOPPED(status)) {
            armed[at] = inside[at] = 0;
            if (process == first) code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            continue;
        }
        long signal = 0;
        if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
            struct user_regs_struct registers;
            ptrace(PTRACE_GETREGS, process, 0, &registers);
            inside[at] = !inside[at];
            if (inside[at]) {
                switch (registers.orig_rax) {
                case SYS_prctl:
                    armed[at] = 1;
                    break;
                case SYS_read:
                case SYS_write:
                case SYS_pread64:
                case SYS_pwrite64:
                case SYS_recvfrom:
                case SYS_sendto:
                    /* an event counter takes eight bytes or none */
                    if (armed[at] && registers.rdx > 1 && registers.rdx != 8) {
                        registers.rdx /= 2;
                        ptrace(PTRACE_SETREGS, process, 0, &registers);
                        halved++;
                    }
                }
            }
        } else if (status >> 16 == PTRACE_EVENT_EXEC) {
            armed[at] = 0;
        } else if (status >> 16 == 0 && WSTOPSIG(status) != SIGSTOP) {
            signal = WSTOPSIG(status);
        }
        ptrace(PTRACE_SYSCALL, process, 0, signal);
    }
    fprintf(stderr, "[halved %ld calls]\n", halved);
    return code;
}
