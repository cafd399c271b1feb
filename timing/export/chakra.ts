/**
 * Programs as Chakra execution traces (MLCommons Chakra, schema/protobuf/et_def.proto): one file per rank,
 * a stream of messages, each behind its length as a varint. First `GlobalMetadata`, then a `Node` for every
 * send, receive and computation. Simulators that read them find a message's other end by `comm_src`,
 * `comm_dst` and `comm_tag`.
 */
import protobuf from 'protobufjs/light.js';
import type { Rank } from '../../collectives/schedule.ts';
import {
  type ExportRequest,
  type OperationKind,
  operationsOf,
  type RankOperation,
} from './operations.ts';

/** Version of the trace format that `GlobalMetadata` names. */
const CHAKRA_VERSION = '0.0.4';

/** `NodeType`: COMP_NODE, COMM_SEND_NODE, COMM_RECV_NODE. */
const NODE_TYPES: Readonly<Record<OperationKind, number>> = {
  reduce: 4,
  copy: 4,
  gate: 4,
  send: 5,
  recv: 6,
};

/** The part of the schema that is written here: field numbers and types are facts of the format. */
const SCHEMA = {
  nested: {
    AttributeProto: {
      oneofs: { value: { oneof: ['int32Val', 'int64Val', 'uint64Val', 'boolVal', 'stringVal'] } },
      fields: {
        name: { type: 'string', id: 1 },
        int32Val: { type: 'int32', id: 7 },
        int64Val: { type: 'int64', id: 9 },
        uint64Val: { type: 'uint64', id: 13 },
        boolVal: { type: 'bool', id: 27 },
        stringVal: { type: 'string', id: 29 },
      },
    },
    GlobalMetadata: {
      fields: {
        version: { type: 'string', id: 1 },
        attr: { rule: 'repeated', type: 'AttributeProto', id: 2 },
      },
    },
    Node: {
      fields: {
        id: { type: 'uint64', id: 1 },
        name: { type: 'string', id: 2 },
        type: { type: 'int32', id: 3 },
        dataDeps: { rule: 'repeated', type: 'uint64', id: 5 },
        durationMicros: { type: 'uint64', id: 7 },
        attr: { rule: 'repeated', type: 'AttributeProto', id: 10 },
      },
    },
  },
} as const satisfies protobuf.INamespace;

const root = protobuf.Root.fromJSON(SCHEMA);
const GLOBAL_METADATA = root.lookupType('GlobalMetadata');
const NODE = root.lookupType('Node');

/** The content of one rank's file. */
export interface ChakraFile {
  readonly rank: Rank;
  readonly bytes: Uint8Array;
}

/** The files of all ranks, made one at a time. `title` is written into each. */
export function* chakraFiles(request: ExportRequest, title: string): Iterable<ChakraFile> {
  for (const { rank, operations } of operationsOf(request)) {
    const writer = protobuf.Writer.create();
    const attr = [
      { name: 'program', stringVal: title },
      { name: 'rank', int32Val: rank },
    ];
    GLOBAL_METADATA.encodeDelimited({ version: CHAKRA_VERSION, attr }, writer);
    for (const operation of operations) {
      NODE.encodeDelimited(nodeOf(rank, operation, request.bytesPerElement), writer);
    }
    yield { rank, bytes: writer.finish() };
  }
}

function nodeOf(rank: Rank, operation: RankOperation, bytesPerElement: number): object {
  const { id, kind, needs, seconds } = operation;
  return {
    id,
    name: nameOf(operation),
    type: NODE_TYPES[kind],
    dataDeps: needs,
    // Whole microseconds are all that the format has: a computation takes one at least, a gate none.
    durationMicros: Math.ceil(seconds * 1e6),
    attr: [
      { name: 'is_cpu_op', boolVal: false },
      ...attributesOf(rank, operation, bytesPerElement),
    ],
  };
}

function nameOf({ kind, channel, step, peer }: RankOperation): string {
  if (kind === 'gate') return 'gate';
  const where = peer === undefined ? '' : kind === 'send' ? ` to ${peer}` : ` from ${peer}`;
  return `${channel}.${step} ${kind}${where}`;
}

/** Types as Chakra's own feeder and the simulators on it read them. */
function attributesOf(
  rank: Rank,
  { kind, peer, tag, bytes }: RankOperation,
  bytesPerElement: number,
): object[] {
  if (peer === undefined || tag === undefined) {
    const operations = kind === 'reduce' ? bytes / bytesPerElement : 0;
    return [
      { name: 'num_ops', int64Val: operations },
      { name: 'tensor_size', uint64Val: bytes },
    ];
  }
  const [source, destination] = kind === 'send' ? [rank, peer] : [peer, rank];
  return [
    { name: 'comm_src', int32Val: source },
    { name: 'comm_dst', int32Val: destination },
    { name: 'comm_tag', int32Val: tag },
    { name: 'comm_size', int64Val: bytes },
  ];
}
