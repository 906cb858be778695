/* The areas of the monitor, a file each: each is shown the records of its kinds before the model takes them in. */
#ifndef MONITOR_AREAS_H
#define MONITOR_AREAS_H

#include "monitor_model.h"

void lc_monitor_soon(struct lc_model *model, const struct lc_obs *obs);
void lc_monitor_timer(struct lc_model *model, const struct lc_obs *obs);
void lc_monitor_watch(struct lc_model *model, const struct lc_obs *obs);
void lc_monitor_thread(struct lc_model *model, const struct lc_obs *obs);
void lc_monitor_life(struct lc_model *model, const struct lc_obs *obs);
void lc_monitor_stream(struct lc_model *model, const struct lc_obs *obs);
void lc_monitor_datagram(struct lc_model *model, const struct lc_obs *obs);
void lc_monitor_server(struct lc_model *model, const struct lc_obs *obs);
void lc_monitor_request(struct lc_model *model, const struct lc_obs *obs);
void lc_monitor_liveness(struct lc_model *model, const struct lc_obs *obs);
/* For a trace that ends inside a step or run: what was still owed, into the judgement. */
void lc_monitor_owed(struct lc_model *model);

#endif
