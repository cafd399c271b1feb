/** One kind of thing that the random program does. */
import { SystemCallError } from '../../../../node/process/system-call.ts';
import type { SimulatedUser } from '../simulated-user.ts';
import type { World } from '../world.ts';

export interface Operation {
  readonly kind: string;
  /** How often it is drawn, relative to the others. */
  readonly weight: number;
  /** What to do now, or `undefined` if there is nothing to do it to. Decides and changes nothing else. */
  prepare(world: World): (() => Promise<string>) | undefined;
}

export type Attempt<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly errno: string };

/** A call of a user process: its value, or its errno. Anything else that is thrown is a bug. */
export async function attempt<T>(user: SimulatedUser, call: Promise<T>): Promise<Attempt<T>> {
  user.calls++;
  try {
    return { ok: true, value: await call };
  } catch (reason) {
    if (reason instanceof SystemCallError && reason.family === 'errno') {
      return { ok: false, errno: reason.code };
    }
    throw reason;
  } finally {
    user.calls--;
  }
}

/** `alloc 3` or `alloc ENOMEM`, for the trace. */
export function outcomeOf(attempted: Attempt<unknown>): string {
  return attempted.ok ? 'ok' : attempted.errno;
}
