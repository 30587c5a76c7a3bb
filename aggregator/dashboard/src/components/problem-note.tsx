// Says what went wrong, what to do about it, and offers to try again.
import { Button } from '@mantine/core';
import type { ApiError } from '../api/client.ts';
import { RefreshIcon } from './icon.tsx';
import classes from './problem-note.module.css';

type ProblemNoteProps = {
  error: ApiError;
  /** What stands all the same, such as "Shown is what was last received." */
  consolation?: string;
  retry?: { act: () => void; busy: boolean };
};

export function ProblemNote({ error, consolation, retry }: ProblemNoteProps) {
  return (
    <div className={classes.note} role="alert">
      <div className={classes.words}>
        <p className={classes.title}>{error.title}</p>
        <p>
          {error.message !== error.title && error.message} {error.hint} {consolation}
        </p>
        <p className={classes.code}>
          {error.code}
          {error.status !== null && ` · HTTP ${error.status}`}
        </p>
      </div>
      {retry && (
        <Button variant="default" size="sm" leftSection={<RefreshIcon />} loading={retry.busy} onClick={retry.act}>
          Try again
        </Button>
      )}
    </div>
  );
}
