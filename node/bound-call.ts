/** Calls of the user's libraries without their first parameter, the channel. */
import { currentProcess } from './process/current-process.ts';
import type { SystemCallChannel } from './process/system-call.ts';

type Bound<F> = F extends (channel: SystemCallChannel, ...rest: infer Rest) => infer Result
  ? (...rest: Rest) => Result
  : never;

/** `call` with its first parameter, the channel, taken from the calling process. */
export function bind<Rest extends unknown[], Result>(
  call: (channel: SystemCallChannel, ...rest: Rest) => Result,
): Bound<typeof call> {
  return ((...rest: Rest) => call(currentProcess().channel, ...rest)) as Bound<typeof call>;
}
