/** Whether the two ends of every connection agree on its messages: how many, how big, landing where. */
import { logicalChunk } from '../collective.ts';
import type { StepAddress } from '../interpret.ts';
import { describePlace, describeStep } from '../print-program.ts';
import { type Landing, type Program, placeOf, reduces, type Step } from '../program.ts';
import type { Findings } from './finding.ts';

/** One end of one message. */
interface End {
  readonly at: StepAddress;
  readonly step: Step;
}

interface Connection {
  readonly sends: End[];
  readonly receives: End[];
}

export function checkConnections(
  programs: readonly Program[],
  { equalChunks }: { readonly equalChunks: boolean },
  findings: Findings,
): void {
  for (const connection of connectionsOf(programs).values()) {
    const messages = Math.max(connection.sends.length, connection.receives.length);
    for (let index = 0; index < messages; index++) {
      const send = connection.sends[index];
      const receive = connection.receives[index];
      if (send === undefined || receive === undefined) {
        addUnmatched(send, receive, findings);
        continue;
      }
      const complaint = disagreement(programs, send, receive, equalChunks);
      if (complaint === undefined) continue;
      const where = { ...receive.at, chunk: placeOf(receive.step).chunk };
      findings.add('disagreement', where, complaint);
    }
  }
}

function connectionsOf(programs: readonly Program[]): Map<string, Connection> {
  const connections = new Map<string, Connection>();
  const connection = (src: number, dst: number, channel: number): Connection => {
    const key = `${src} ${dst} ${channel}`;
    const known = connections.get(key) ?? { sends: [], receives: [] };
    connections.set(key, known);
    return known;
  };
  for (const { rank, channels } of programs) {
    for (const { id: channel, steps } of channels) {
      for (const [index, step] of steps.entries()) {
        const end: End = { at: { rank, channel, step: index }, step };
        const { recvFrom, sendTo } = step;
        if (recvFrom !== undefined) connection(recvFrom, rank, channel).receives.push(end);
        if (sendTo !== undefined) connection(rank, sendTo, channel).sends.push(end);
      }
    }
  }
  return connections;
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
): string | undefined {
  const sender = `rank ${send.at.rank} channel ${send.at.channel} step ${send.at.step}`;
  if (send.step.count !== receive.step.count) {
    return `takes ${receive.step.count} chunks but ${sender} sends ${send.step.count}`;
  }
  const expected = landingOf(receive.step);
  const found = send.step.landing ?? { kind: 'slot' };
  if (describeLanding(expected) !== describeLanding(found)) {
    return `takes its message in ${describeLanding(expected)} but ${sender} lands it in ${describeLanding(found)}`;
  }
  if (equalChunks) return undefined;
  for (let offset = 0; offset < send.step.count; offset++) {
    const sent = sizeChunk(programs, send, offset);
    const taken = sizeChunk(programs, receive, offset);
    if (sent !== taken) {
      return `takes a message with the size of chunk ${taken} but ${sender} sends one of chunk ${sent}`;
    }
  }
  return undefined;
}

/** How a receiver takes its message: see `Landing`. */
function landingOf({ kind, dst }: Step): Landing {
  return reduces(kind) || dst === undefined ? { kind: 'slot' } : { kind: 'place', place: dst };
}

function describeLanding(landing: Landing): string {
  return landing.kind === 'slot' ? 'a slot' : describePlace(landing.place);
}

/** Logical chunk whose size the message has at this end. */
function sizeChunk(programs: readonly Program[], { at, step }: End, offset: number): number {
  const { buffer, chunk } = placeOf(step);
  return logicalChunk(programs[at.rank] as Program, at.rank, buffer, chunk + offset);
}
