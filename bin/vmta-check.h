/* The commands of vmta-check, one file each. */
#ifndef VMTA_CHECK_H
#define VMTA_CHECK_H

/* argv[0] is the command; all return an exit code. */
int check_cmd_config(int argc, char **argv);
int check_cmd_route(int argc, char **argv);
int check_cmd_spool(int argc, char **argv);

#endif
