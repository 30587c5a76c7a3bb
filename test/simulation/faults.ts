/** Which faults the simulated world has, how likely each is, and the log of those that really happened. */

export const minuteMs = 60_000;
export const hourMs = 3_600_000;
export const dayMs = 86_400_000;

/** Steps of a site's work at which its program may die. What was not committed is gone, what was is not. */
export const crashSteps = [
  /** An event came, nothing was decided. */
  'received',
  /** Decided, not committed. */
  'decided',
  /** The commit was under way, never said to be done, and is not on disk after the restart. */
  'commit-lost',
  /** The commit was under way, never said to be done, and is on disk after the restart. */
  'commit-kept',
  /** Committed, not answered. */
  'committed',
  /** Answered, not sent. */
  'answered',
  /** Sent, not acknowledged. */
  'sent',
] as const;
export type CrashStep = (typeof crashSteps)[number];

/** Probability of dying at each step of each piece of work: several deaths a site and year. */
export const crashOdds: Record<CrashStep, number> = {
  received: 1 / 1500,
  decided: 1 / 1000,
  'commit-lost': 1 / 1000,
  'commit-kept': 1 / 1000,
  committed: 1 / 1000,
  answered: 1 / 1000,
  sent: 1 / 400,
};

/** Steps of a group commit at which the aggregator may die. */
const aggregatorCrashSteps = ['planned', 'committed', 'acknowledged'] as const;
export type AggregatorCrashStep = (typeof aggregatorCrashSteps)[number];
export const aggregatorCrashOdds: Record<AggregatorCrashStep, number> = {
  planned: 1 / 700,
  committed: 1 / 700,
  acknowledged: 1 / 700,
};
/** Share of the aggregator's restarts that take long. */
export const longAggregatorOutage = 0.1;

/** Mean time between two faults of a kind at one site. */
export const meanBetweenMs = {
  /** Power cut or restart: off for minutes to hours. */
  reboot: 60 * dayMs,
  /** Off over days, with the clock of the mainboard going on. */
  offForDays: 120 * dayMs,
  offForMonths: 900 * dayMs,
  sleep: 60 * dayMs,
  wallJump: 60 * dayMs,
  connectionCut: 40 * dayMs,
  networkOutage: 60 * dayMs,
  longNetworkOutage: 500 * dayMs,
} as const;

/** What the wall clock does when it is set. */
export const wallJumps = [
  { fault: 'wall-back-an-hour', weight: 3, lowMs: -hourMs, highMs: -hourMs },
  { fault: 'wall-forward-a-year', weight: 2, lowMs: 365 * dayMs, highMs: 366 * dayMs },
  { fault: 'wall-back-days', weight: 1, lowMs: -20 * dayMs, highMs: -dayMs },
  { fault: 'wall-forward-days', weight: 1, lowMs: dayMs, highMs: 30 * dayMs },
  { fault: 'wall-nudged', weight: 3, lowMs: -90_000, highMs: 90_000 },
  { fault: 'wall-put-right', weight: 4, lowMs: 0, highMs: 0 },
] as const;

/** Odds of the network, of each frame or of each connection. */
export const networkOdds = {
  /** Connections whose frames travel on their own, as in an exchange by HTTPS: the following four then apply. */
  looseConnection: 0.15,
  frameDropped: 0.03,
  frameDuplicated: 0.04,
  frameReordered: 0.06,
  /** Any frame, on any connection, after which the connection is cut. */
  cutAtFrame: 1 / 400,
  frameDelayed: 0.02,
  /** Cuts that one side, or both, are not told of. */
  silentCut: 0.35,
  /** Attempts to connect that hang instead of being refused while the network is out. */
  hangingConnect: 0.3,
} as const;

/** Odds of what endpoints go through. */
export const endpointOdds = {
  /** Answers that get lost between Site Manager and endpoint, so that the call is repeated. */
  answerLost: 0.01,
  /** Calls repeated at once although they were answered. */
  calledTwice: 0.01,
} as const;

export const faultKinds = [
  ...crashSteps.map((step) => `site-crash-${step}` as const),
  ...aggregatorCrashSteps.map((step) => `aggregator-crash-${step}` as const),
  ...wallJumps.map(({ fault }) => fault),
  'aggregator-long-outage',
  'aggregator-database-reopened',
  'reboot',
  'off-for-days',
  'off-for-months',
  'sleep',
  'jump-while-off',
  'connection-cut',
  'connection-cut-silently',
  'connect-refused',
  'connect-hangs',
  'network-outage',
  'long-network-outage',
  'frame-dropped',
  'frame-duplicated',
  'frame-reordered',
  'frame-delayed',
  'endpoint-answer-lost',
  'endpoint-called-twice',
  'enrol-answer-lost',
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** Counts the faults that happened, so that a run can show that it had them. */
export class FaultLog {
  readonly counts: Record<FaultKind, number>;

  constructor() {
    this.counts = Object.fromEntries(faultKinds.map((kind) => [kind, 0])) as Record<FaultKind, number>;
  }

  add(kind: FaultKind): void {
    this.counts[kind]++;
  }
}
