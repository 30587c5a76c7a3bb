// Signing in with an API token.
import { Button, PasswordInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import { ApiError, createApiClient } from '../api/client.ts';
import { readMe } from '../api/resources.ts';
import { nowMs } from '../clock.ts';
import { Mark } from '../components/icon.tsx';
import { tokenIn } from '../session.ts';
import classes from './sign-in.module.css';
import { tokenFault } from './token-fault.ts';

type SignInProps = {
  /** Why somebody who was signed in is here again. */
  notice: string | null;
  onSignedIn: (token: string) => void;
};

export function SignInPage({ notice, onSignedIn }: SignInProps) {
  const [text, setText] = useState('');
  const [fault, setFault] = useState<string | null>(null);
  const [asking, setAsking] = useState(false);

  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const token = tokenIn(text);
    if (token === null) {
      setFault(
        text.trim() === '' ? 'Paste an API token.' : 'This is not an API token: one is a single word such as rc_….',
      );
      return;
    }
    setAsking(true);
    setFault(null);
    try {
      await readMe(createApiClient({ origin: '', token, fetch: (...call) => fetch(...call), nowMs }));
      onSignedIn(token);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setFault(tokenFault(error));
    } finally {
      setAsking(false);
    }
  };

  return (
    <main className={classes.page}>
      <form className={classes.card} onSubmit={(event) => void submit(event)} noValidate>
        <div className={classes.brand}>
          <Mark size={44} />
          <div>
            <h1 className={classes.title}>Rollcall</h1>
            <p className={classes.subtitle}>MultiSite dashboard</p>
          </div>
        </div>
        {notice !== null && fault === null && (
          <p className={classes.notice} role="status">
            {notice}
          </p>
        )}
        <PasswordInput
          label="API token"
          description="The token of your organisation shows your branch and nothing else. It is kept in this tab only, until you sign out or close it."
          value={text}
          error={fault}
          size="md"
          autoFocus
          autoComplete="off"
          spellCheck={false}
          visibilityToggleButtonProps={{ 'aria-label': 'Show the token' }}
          onChange={(event) => {
            setText(event.currentTarget.value);
            setFault(null);
          }}
        />
        <Button type="submit" size="md" fullWidth loading={asking}>
          Sign in
        </Button>
        <p className={classes.help}>
          No token? Whoever administers your organisation, or the one above it, makes one with{' '}
          <code>rollcall api-token create</code>.
        </p>
      </form>
    </main>
  );
}
