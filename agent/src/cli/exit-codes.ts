/** What rollcall-site ends with, so that scripts and remote management tools can tell. */
export const exitCodes = {
  done: 0,
  /** The reason, and what to do, stands on standard error. */
  failed: 1,
  /** `verify`: the file is not what the site wrote. */
  notGenuine: 2,
  /** `status`: the service does not run (the number that init scripts use, LSB 3.0). */
  notRunning: 3,
} as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];
