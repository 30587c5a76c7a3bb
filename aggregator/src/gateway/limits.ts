/** Every limit of the gateway with its default; the wire's own limits are protocol/limits.ts. */
import { handshakeTimeoutMs, heartbeatIntervalMs } from '@rollcall/shared/protocol/limits.ts';

export type GatewayLimits = {
  /** Open sockets of this node; one more is answered 503. */
  connectionsMax: number;
  /** Open sockets of one address (an IPv6 network of /64); one more is answered 429. */
  connectionsPerAddressMax: number;
  /** Handshakes and enrolments a minute from one address; more are answered 429. */
  handshakesPerMinuteMax: number;
  enrolmentsPerMinuteMax: number;
  /** Time a site has from the challenge to its hello, and then the gateway to its welcome. */
  handshakeTimeoutMs: number;
  heartbeatIntervalMs: number;
  /** Time the older of two connections of one site has to show that it lives. */
  aliveCheckMs: number;
  /** Messages a second that lead to nothing durable, and how many of them may come at once. A message weighs 1 and 1 more for each 64 KiB. */
  idleMessagesPerSecond: number;
  idleMessagesBurst: number;
  /** Frames of all sites that wait for their commit, in characters; more is answered BACKLOG_FULL. */
  backlogCharactersMax: number;
  /** Bytes waiting to be read by one site; a site that lets more pile up is cut off. */
  sendBufferBytesMax: number;
  /** Entries in one commit: bounds the time a commit takes. One plan always fits. */
  groupEntriesMax: number;
  /** Plans that wait for a commit; one more is answered BACKLOG_FULL. */
  groupPlansWaitingMax: number;
  /** Time after a commit in which frames of all sockets gather for the next. */
  collectMs: number;
  commitTimeoutMs: number;
  /** Longest time between two records of a connected site's last contact. */
  contactIntervalMs: number;
  /** A command that was not answered is sent again after this time. */
  commandResendMs: number;
};

export const gatewayLimits: GatewayLimits = {
  connectionsMax: 10_000,
  connectionsPerAddressMax: 256,
  handshakesPerMinuteMax: 300,
  enrolmentsPerMinuteMax: 60,
  handshakeTimeoutMs,
  heartbeatIntervalMs,
  aliveCheckMs: 5_000,
  idleMessagesPerSecond: 20,
  idleMessagesBurst: 200,
  backlogCharactersMax: 256 * 1024 * 1024,
  sendBufferBytesMax: 1024 * 1024,
  groupEntriesMax: 10_000,
  groupPlansWaitingMax: 10_000,
  collectMs: 2,
  commitTimeoutMs: 30_000,
  contactIntervalMs: 60_000,
  commandResendMs: 60_000,
};

/** Longest hello in bytes: what comes before the signature was checked is read only up to here. */
export const helloBytesMax = 8 * 1024;

/**
 * Intervals that are read to count one month again: ten changes on each of 5,000 endpoints, in a sixth of a second. A report of
 * more is compared by its figures alone.
 */
export const recountedIntervalsMax = 50_000;

/** Months held in memory to be counted again, whoever sent their reports. */
export const recountsAtOnceMax = 4;
