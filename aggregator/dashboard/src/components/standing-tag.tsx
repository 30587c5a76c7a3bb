// How a row stands: a dot and a word, in the colour of its tone.
import classes from './standing-tag.module.css';
import type { Standing } from './tone.ts';

export function StandingTag({ tone, label }: Standing) {
  return (
    <span className={classes.tag} data-tone={tone}>
      <span className={classes.dot} aria-hidden="true" />
      {label}
    </span>
  );
}
