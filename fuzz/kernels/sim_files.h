/* What the files of sim share, and drivers and tests that open sockets there: open files, TCP and UDP. */
#ifndef SIM_FILES_H
#define SIM_FILES_H

#include "sim.h"

/* The backend with faults over the plain one. */
struct rl_backend sim_faults_over(struct sim *sim, const struct rl_backend *plain);
/* The open file of this number, those without a number among them, or NULL. */
struct sim_fd *sim_fd_at(struct sim *sim, int fd);
bool sim_is_udp(struct sim *sim, int fd);
/* As poll(2), recv(2), send(2) and shutdown(2) of an open file. */
unsigned sim_readiness(struct sim *sim, int fd);
int64_t sim_read_bytes(struct sim *sim, int fd, void *bytes, size_t size);
int64_t sim_write_bytes(struct sim *sim, int fd, const void *bytes, size_t size);
int sim_shut(void *self, int fd);
/* The time a duration from now; at most LC_TIME_NS_MAX. */
uint64_t sim_later(const struct sim *sim, uint64_t duration_ns);
/* Time passes until the first post is due, which then comes. */
void sim_post_first(struct sim *sim);
/* The lowest number that is free, or -EMFILE. */
int sim_open(struct sim *sim);
int sim_close(struct sim *sim, int fd, bool is_reset);
/* As socket(2), listen(2), connect(2), getsockopt(2) for SO_ERROR and accept(2) of TCP on the loopback interface. Ports
 * come out; those of accept may be NULL. */
int sim_socket(struct sim *sim);
int sim_connect_to(struct sim *sim, int fd, uint16_t port);
int sim_connect_by_address(void *self, int fd, const void *address, size_t size);
int sim_finish_connect(void *self, int fd);
int sim_listen(void *self, uint16_t *port);
int sim_connect(void *self, uint16_t port, uint16_t *own_port);
int sim_accept(void *self, int listener, uint16_t *peer_port);
bool sim_is_anybody_waiting(const struct sim *sim, int listener);
/* Who has connected and was not accepted finds the connection reset. */
void sim_close_listener(struct sim *sim, int listener);

/* A UDP socket that is open: as poll(2), recv(2), send(2) and close(2). */
unsigned sim_datagram_readiness(const struct sim *sim, const struct sim_fd *fd);
int64_t sim_datagram_receive(struct sim *sim, int fd, void *bytes, size_t size);
int sim_datagram_send(struct sim *sim, int fd, const void *bytes, size_t size);
void sim_datagram_close(struct sim *sim, int fd);
/* The one that was sent last is lost. */
void sim_datagram_drop_last(struct sim *sim);
/* Both ends of the connection of fd break; true if it was one that can. */
bool sim_break(struct sim *sim, int fd);

#endif
