/**
 * An actor (`builtin:actor`): a user process that does what its director says, one act at a time. Its
 * descriptor 0 is the line to the stagehand; that is closed first, so that 0 is free for others.
 */
import * as hlsim from 'hlsim';
import { type ActReply, readActRequest } from './actor-message.ts';
import { ACTS } from './acts.ts';

/** The line is moved here, out of the way of the numbers that the kernel gives. */
const LINE = 1000;
/** How long an actor waits for its next act; the end of its director ends it at once. */
const NEXT_ACT_TIMEOUT_MS = 600_000;

await hlsim.dup2(0, LINE);
await hlsim.closeDescriptor(0);
let taken: readonly number[] = [];
for (;;) {
  const message = await hlsim.receiveMessage(LINE, NEXT_ACT_TIMEOUT_MS);
  if (message === null) break;
  taken = message.fds;
  const { act, arguments: rest } = readActRequest(hlsim.textOf(message));
  if (act === 'give') await hlsim.sendMessage(LINE, JSON.stringify({}), [Number(rest[0])]);
  else await hlsim.sendMessage(LINE, JSON.stringify(await reply(act, rest)));
}

async function reply(act: string, rest: readonly unknown[]): Promise<ActReply> {
  if (act === 'take') return { value: taken[0] };
  const known = ACTS as unknown as Record<string, (...rest: unknown[]) => Promise<unknown>>;
  try {
    return { value: await known[act]?.(...rest) };
  } catch (reason) {
    const { code, message } = reason as Error & { readonly code?: string };
    return { failure: { code: String(code ?? 'unknown'), message } };
  }
}
