/** What queue pairs count, as one endpoint's traffic. */
import type { IbvQpCounters } from '../verbs/qp-attributes.ts';
import type { FiEndpointCounters } from './fabric.ts';

/** The traffic of these queue pairs, and that of others that are gone. */
export function sumOfTraffic(
  queuePairs: readonly Readonly<IbvQpCounters>[],
  past: readonly FiEndpointCounters[] = [],
): FiEndpointCounters {
  const sum = noTraffic();
  for (const counters of [...past, ...queuePairs.map(trafficOf)]) {
    sum.rmaBytesSent += counters.rmaBytesSent;
    sum.rmaBytesReceived += counters.rmaBytesReceived;
    sum.messageBytesSent += counters.messageBytesSent;
    sum.messageBytesReceived += counters.messageBytesReceived;
  }
  return sum;
}

export function noTraffic(): FiEndpointCounters {
  return { rmaBytesSent: 0, rmaBytesReceived: 0, messageBytesSent: 0, messageBytesReceived: 0 };
}

function trafficOf(counters: Readonly<IbvQpCounters>): FiEndpointCounters {
  return {
    rmaBytesSent: counters.writeBytesSent + counters.readBytesSent,
    rmaBytesReceived: counters.writeBytesReceived + counters.readBytesReceived,
    messageBytesSent: counters.sendBytesSent,
    messageBytesReceived: counters.sendBytesReceived,
  };
}
