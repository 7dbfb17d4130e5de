/* The plan: which batches there are, from their names. */
#ifndef VMTA_RUN_PLAN_H
#define VMTA_RUN_PLAN_H

struct worker;
struct queue;
struct rvmta;

/* List the directories of one queue anew; 0, or -1 (logged). */
int plan_queue(struct worker *w, struct queue *q);
/* Find all queues of all owned VirtualMTAs; each is listed when it is due. */
void plan_all(struct worker *w);
/* New mail for domain was announced. */
void plan_new_mail(struct worker *w, struct rvmta *v, const char *domain);

#endif
