import { toBinary } from "@bufbuild/protobuf";
import type { DescFile, MessageInitShape } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { defineService } from "../grpc/index.ts";
import type { Method } from "../grpc/index.ts";
import {
  Code,
  ServerReflection,
  file_auth,
  file_health,
  file_kv,
  file_reflection,
  file_rpc,
  file_v3election,
  file_v3lock,
} from "../../../etcd/index.ts";
import type { ServerReflectionRequest, ServerReflectionResponseSchema } from "../../../etcd/index.ts";

const files: readonly DescFile[] = [file_rpc, file_kv, file_auth, file_v3lock, file_v3election, file_health, file_reflection];

type Answer = MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"];

/** What the server offers, for tools such as grpcurl. */
export function reflectionService(): readonly Method[] {
  return defineService(ServerReflection, {
    serverReflectionInfo: (answers) => ({
      message: (request) => answers.send({ validHost: request.host, originalRequest: request, messageResponse: answer(request) }),
      ended: () => answers.end(),
      closed: () => undefined,
    }),
  });
}

function answer({ messageRequest: request }: ServerReflectionRequest): NonNullable<Answer> {
  switch (request.case) {
    case "listServices": {
      const service = files.flatMap((file) => file.services.map(({ typeName }) => ({ name: typeName })));
      return { case: "listServicesResponse", value: { service } };
    }
    case "fileByFilename":
      return describe(files.find((file) => `${file.name}.proto` === request.value));
    case "fileContainingSymbol":
      return describe(files.find((file) => declares(file, request.value)));
    default:
      return { case: "errorResponse", value: { errorCode: Code.unimplemented, errorMessage: "there are no extensions" } };
  }
}

/** Services, their methods, messages and enums, nested ones included. */
function declares(file: DescFile, symbol: string): boolean {
  const own = [...file.services, ...file.messages, ...file.enums].map(({ typeName }) => typeName);
  return own.some((name) => symbol === name || symbol.startsWith(`${name}.`));
}

/** The file and what it imports, since the client needs all of it. */
function describe(file: DescFile | undefined): NonNullable<Answer> {
  if (file === undefined) return { case: "errorResponse", value: { errorCode: Code.notFound, errorMessage: "not found" } };
  const all = [file, ...file.dependencies].map((one) => toBinary(FileDescriptorProtoSchema, one.proto));
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto: all } };
}
