// How long ago something was, with the whole instant for whoever points at it.
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import { timeAgo, wholeTime } from '../format/time-text.ts';

export function TimeAgo({ instant, nowMs }: { instant: Instant; nowMs: number }) {
  return (
    <time dateTime={instant} title={wholeTime(instant)}>
      {timeAgo(instant, nowMs)}
    </time>
  );
}
