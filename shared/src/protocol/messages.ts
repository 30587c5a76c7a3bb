/** The two directions of the socket; each message has a file of its own. */
import { z } from 'zod';
import { Ack } from './ack.ts';
import { Append } from './append.ts';
import { Bye } from './bye.ts';
import { Challenge } from './challenge.ts';
import { CommandMessage } from './command.ts';
import { Hello } from './hello.ts';
import { LeaseMessage } from './lease.ts';
import { Notice } from './notice.ts';
import { Reject } from './reject.ts';
import { SettingsMessage } from './settings.ts';
import { Status } from './status.ts';
import { Welcome } from './welcome.ts';

export const ToAggregator = z.discriminatedUnion('kind', [Hello, Append, Status, Bye]);
export type ToAggregator = z.infer<typeof ToAggregator>;

export const ToSite = z.discriminatedUnion('kind', [
  Challenge,
  Welcome,
  Ack,
  Reject,
  LeaseMessage,
  SettingsMessage,
  CommandMessage,
  Notice,
  Bye,
]);
export type ToSite = z.infer<typeof ToSite>;
