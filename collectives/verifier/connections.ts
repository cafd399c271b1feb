/** Whether the two ends of every connection agree on its messages: how many, how big, landing where. */
import type { StepAddress } from '../interpret.ts';
import { describePlace, describeStep } from '../print-program.ts';
import { type Landing, type Program, placeOf, reduces, type Step } from '../program.ts';
import type { Connection, Process, Wiring } from '../wiring.ts';
import { sizeOf } from './chunk-size.ts';
import type { Findings } from './finding.ts';

/** One end of one message. */
interface End {
  readonly at: StepAddress;
  readonly step: Step;
}

export interface ConnectionOptions {
  /** All chunks have the same size, so any may be taken for any. */
  readonly equalChunks: boolean;
}

/** Programs must be well-formed. */
export function checkConnections(
  programs: readonly Program[],
  wiring: Wiring,
  { equalChunks }: ConnectionOptions,
  findings: Findings,
): void {
  for (const connection of wiring.connections) {
    const isShared = [
      addSharedEnd(connection, 'sends', wiring, findings),
      addSharedEnd(connection, 'receives', wiring, findings),
    ].includes(true);
    if (isShared) continue;
    const { sends, receives } = connection;
    for (let index = 0; index < Math.max(sends.length, receives.length); index++) {
      const send = endAt(wiring, sends[index]);
      const receive = endAt(wiring, receives[index]);
      if (send === undefined || receive === undefined) {
        addUnmatched(send, receive, findings);
        continue;
      }
      const complaint = disagreement(programs, send, receive, equalChunks, findings);
      if (complaint === undefined) continue;
      const where = { ...receive.at, chunk: placeOf(receive.step).chunk };
      findings.add('disagreement', where, complaint);
    }
  }
}

function endAt(wiring: Wiring, number: number | undefined): End | undefined {
  if (number === undefined) return undefined;
  const process = wiring.processes[wiring.processOf[number] as number] as Process;
  const { rank, channel, steps, firstStep } = process;
  const step = number - firstStep;
  return { at: { rank, channel, step }, step: steps[step] as Step };
}

/** Which of two channels comes first is not settled, so neither is whose message is whose. */
function addSharedEnd(
  connection: Connection,
  end: 'sends' | 'receives',
  wiring: Wiring,
  findings: Findings,
): boolean {
  const numbers = connection[end];
  const first = endAt(wiring, numbers[0]);
  const other = endAt(
    wiring,
    numbers.find((number) => wiring.processOf[number] !== wiring.processOf[numbers[0] as number]),
  );
  if (first === undefined || other === undefined) return false;
  const { src, dst, lane } = connection;
  const verb = end === 'sends' ? 'sends messages' : 'takes messages';
  const sentence =
    `${describeStep(other.step)} ${verb} of the connection from rank ${src} to rank ${dst} on lane ` +
    `${lane}, as ${findings.nameOf(first.at)} does: one channel alone may`;
  findings.add('malformed', { ...other.at, chunk: placeOf(other.step).chunk }, sentence);
  return true;
}

function addUnmatched(send: End | undefined, receive: End | undefined, findings: Findings): void {
  if (send !== undefined) {
    const sentence = `nobody takes the message of ${describeStep(send.step)}`;
    findings.add('unmatched', { ...send.at, chunk: placeOf(send.step).chunk }, sentence);
  }
  if (receive !== undefined) {
    const sentence = `nobody sends what ${describeStep(receive.step)} waits for`;
    findings.add('unmatched', { ...receive.at, chunk: placeOf(receive.step).chunk }, sentence);
  }
}

/** What is wrong with a message, from the receiver's point of view. */
function disagreement(
  programs: readonly Program[],
  send: End,
  receive: End,
  equalChunks: boolean,
  findings: Findings,
): string | undefined {
  const { count } = send.step;
  const sender = findings.nameOf(send.at);
  if (count !== receive.step.count) {
    return `takes ${chunksText(receive.step.count)} but ${sender} sends ${count}`;
  }
  if (!landsAsTaken(send.step, receive.step)) {
    const expected = describeLanding(landingOf(receive.step), count);
    const found = describeLanding(send.step.landing ?? { kind: 'slot' }, count);
    return `takes its message in ${expected} but ${sender} lands it in ${found}`;
  }
  if (equalChunks) return undefined;
  for (let offset = 0; offset < count; offset++) {
    const sent = messageSize(programs, send, offset);
    const taken = messageSize(programs, receive, offset);
    if (sent === taken) continue;
    return `takes a message with the size of chunk ${taken} but ${sender} sends one of chunk ${sent}`;
  }
  return undefined;
}

function landsAsTaken({ landing }: Step, { kind, dst }: Step): boolean {
  if (reduces(kind) || dst === undefined) return landing === undefined || landing.kind === 'slot';
  if (landing?.kind !== 'place') return false;
  return landing.place.buffer === dst.buffer && landing.place.chunk === dst.chunk;
}

/** How a receiver takes its message: see `Landing`. */
function landingOf({ kind, dst }: Step): Landing {
  return reduces(kind) || dst === undefined ? { kind: 'slot' } : { kind: 'place', place: dst };
}

function describeLanding(landing: Landing, count: number): string {
  return landing.kind === 'slot' ? 'a slot' : describePlace(landing.place, count);
}

/** A chunk whose size the message has at this end. */
function messageSize(programs: readonly Program[], { at, step }: End, offset: number): number {
  const { buffer, chunk } = placeOf(step);
  return sizeOf(programs[at.rank] as Program, at.rank, buffer, chunk + offset);
}

function chunksText(count: number): string {
  return count === 1 ? '1 chunk' : `${count} chunks`;
}
