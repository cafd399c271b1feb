/** A call again and again on the same buffers, as benchmarks of bandwidth queue them on one stream. */
import type { Channel, Program, Step } from '../../collectives/program.ts';

/**
 * A program that does `calls` times what `program` does. Nothing but the data holds a call back: what it
 * reads must have been written, what it writes must have been read.
 */
export function backToBack(program: Program, calls: number): Program {
  const lengths = program.channels.map(({ steps }) => steps.length);
  return {
    ...program,
    channels: program.channels.map(
      (channel): Channel => ({
        ...channel,
        steps: Array.from({ length: calls }, (_, call) =>
          channel.steps.map((step) => inCall(step, call, lengths)),
        ).flat(),
      }),
    ),
  };
}

function inCall(step: Step, call: number, lengths: readonly number[]): Step {
  if (call === 0 || step.depends.length === 0) return step;
  return {
    ...step,
    depends: step.depends.map(({ channel, step: of }) => ({
      channel,
      step: of + call * (lengths[channel] ?? 0),
    })),
  };
}
