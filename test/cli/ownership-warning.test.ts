import { describe, expect, it } from 'vitest';
import { warnOfOwnership } from '../../cli/ownership-warning.ts';
import type { Terminal } from '../../cli/terminal.ts';
import { OWNERSHIP_POLICIES } from '../../node/device/ownership.ts';

function notesFor(ownership: (typeof OWNERSHIP_POLICIES)[number]): string[] {
  const notes: string[] = [];
  const nothing = () => undefined;
  const terminal: Terminal = {
    result: nothing,
    screen: nothing,
    progress: nothing,
    settle: nothing,
    note: (line) => notes.push(line),
    alarm: (text) => text,
  };
  warnOfOwnership(ownership, terminal);
  return notes;
}

describe('the warning of an ownership policy', () => {
  it('is given for the one that leaves device memory to whoever has it, and says why', () => {
    expect(notesFor('none')).toEqual([
      'hlsim: warning: --ownership none is unsafe: whoever imported device memory still reaches it under the next user',
    ]);
  });

  it('is not given for the others', () => {
    const others = OWNERSHIP_POLICIES.filter((policy) => policy !== 'none');
    expect(others.flatMap(notesFor)).toEqual([]);
  });
});
