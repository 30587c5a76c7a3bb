/** Commands of the portal: each is applied once, by its id, and its outcome goes back as a ledger entry. */
import { type CommandName, commandNames, type SiteCommand } from '@rollcall/shared/protocol/command.ts';
import { stageNow } from './lease-policy.ts';
import type { Work } from './plan.ts';
import { nowOf } from './site-state.ts';

/** Applies a command; one that was applied before changes nothing, since the ledger already holds its outcome. */
export function applyCommand(work: Work, command: SiteCommand): null {
  const { state } = work;
  if (state.appliedCommands.has(command.id)) return null;
  const code = isCommandName(command.name) ? wishKey(work, command.keyId, command.name) : 'UNKNOWN_COMMAND';
  const outcome = code === null ? { outcome: 'applied' as const } : { outcome: 'refused' as const, code };
  work.append(nowOf(state), 'command-applied', { commandId: command.id, ...outcome });
  return null;
}

const isCommandName = (name: string): name is CommandName => commandNames.some((known) => known === name);

function wishKey(work: Work, keyId: string, name: CommandName): 'UNKNOWN_KEY' | null {
  const { state } = work;
  const key = state.keys.get(keyId);
  if (key === undefined) return 'UNKNOWN_KEY';
  const now = nowOf(state);
  switch (name) {
    case 'deactivate-key':
      if (key.state !== 'deactivated')
        work.append(now, 'key-state', { keyId, state: 'deactivated', reason: 'deactivated in the portal' });
      return null;
    case 'reactivate-key':
      if (key.state === 'deactivated')
        work.append(now, 'key-state', { keyId, state: stageNow(state, keyId), reason: 'reactivated in the portal' });
      return null;
  }
}
