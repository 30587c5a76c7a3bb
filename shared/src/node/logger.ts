/** Structured logs by pino, with everything secret cut out by name before it is written. */
import pino, { type DestinationStream, type Logger } from 'pino';

export type { Logger };

/** Field names whose values never reach a log, at the top or one level down. */
const secretFields = [
  'token',
  'secret',
  'credential',
  'password',
  'authorization',
  'privateKeyPem',
  'keyText',
  'productKey',
  'lease',
  'joinCode',
  'cookie',
];

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export function createLogger(options: { name: string; level: LogLevel }, destination?: DestinationStream): Logger {
  return pino(
    {
      name: options.name,
      level: options.level,
      redact: { paths: secretFields.flatMap((field) => [field, `*.${field}`]), censor: '[secret]' },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    destination ?? pino.destination({ fd: 2, sync: true }),
  );
}
