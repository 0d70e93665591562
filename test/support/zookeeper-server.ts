/** Real ZooKeeper servers on loopback, alone or as an ensemble, each with a folder of its own; one can be killed and started again over what it has written. */
import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./ports.ts";

/** Where Debian's package has it; its manifest names the rest. */
const packaged = "/usr/share/java/zookeeper.jar";

/** The class path of the server: UNUM_TEST_ZOOKEEPER, else what the system has; undefined without one, or without a Java. */
export const zookeeperPath: string | undefined = findServer();

function findServer(): string | undefined {
  const path = process.env["UNUM_TEST_ZOOKEEPER"] ?? (existsSync(packaged) ? packaged : undefined);
  if (path === undefined) return undefined;
  try {
    execFileSync("java", ["-version"], { stdio: "ignore", timeout: 20_000 });
    return path;
  } catch {
    return undefined;
  }
}

const readyMs = 40_000;
const frugal = ["-Xmx192m", "-XX:TieredStopAtLevel=1"];

export interface ZooKeeperServerOptions {
  /** Sessions last from 2 to 20 of them. Default 500. */
  readonly tickMs?: number;
  /** Lines of its configuration. */
  readonly more?: readonly string[];
  /** Of the virtual machine. Default: little memory and a quick start, for tests. */
  readonly java?: readonly string[];
}

export class ZooKeeperServer {
  readonly address: string;
  private readonly folder: string;
  private readonly port: number;
  private readonly java: readonly string[];
  private child: ChildProcess | undefined;
  private log = "";

  private constructor(port: number, id: number, { java = frugal, more = [], tickMs = 500 }: ZooKeeperServerOptions) {
    this.java = java;
    this.folder = mkdtempSync(join(tmpdir(), "unum-zookeeper-"));
    this.port = port;
    this.address = `127.0.0.1:${port}`;
    const data = join(this.folder, "data");
    mkdirSync(data);
    writeFileSync(join(data, "myid"), `${id}\n`);
    const lines = [
      `tickTime=${tickMs}`,
      `dataDir=${data}`,
      `clientPort=${port}`,
      "clientPortAddress=127.0.0.1",
      "4lw.commands.whitelist=srvr,cons",
      "admin.enableServer=false",
      "maxClientCnxns=0",
      ...more,
    ];
    writeFileSync(join(this.folder, "zoo.cfg"), `${lines.join("\n")}\n`);
  }

  /** One that is alone, and answers. */
  static async open(options: ZooKeeperServerOptions = {}): Promise<ZooKeeperServer> {
    const server = new ZooKeeperServer(await freePort(), 1, options);
    try {
      await server.start();
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  /** An ensemble that has a leader. */
  static async openEnsemble(count: number, options: ZooKeeperServerOptions = {}): Promise<readonly ZooKeeperServer[]> {
    const ports: [number, number, number][] = [];
    for (let i = 0; i < count; i++) ports.push([await freePort(), await freePort(), await freePort()]);
    const peers = ports.map(([, peer, election], at) => `server.${at + 1}=127.0.0.1:${peer}:${election}`);
    const more = ["initLimit=20", "syncLimit=8", ...peers];
    const servers = ports.map(([port], at) => new ZooKeeperServer(port, at + 1, { ...options, more }));
    try {
      await Promise.all(servers.map((server) => server.start()));
    } catch (error) {
      await Promise.all(servers.map((server) => server.close()));
      throw error;
    }
    return servers;
  }

  async start(): Promise<void> {
    const child = spawn(
      "java",
      [...this.java, "-cp", zookeeperPath ?? "", "org.apache.zookeeper.server.quorum.QuorumPeerMain", "zoo.cfg"],
      { cwd: this.folder, stdio: ["ignore", "pipe", "pipe"] },
    );
    const keep = (text: string): void => {
      this.log = (this.log + text).slice(-50_000);
    };
    child.stdout.setEncoding("utf8").on("data", keep);
    child.stderr.setEncoding("utf8").on("data", keep);
    child.on("error", (error) => keep(error.message));
    this.child = child;
    const endMs = performance.now() + readyMs;
    while (!(await this.ask("srvr")).includes("Mode: ")) {
      if (child.exitCode !== null || performance.now() > endMs) throw new Error(`ZooKeeper is not ready:\n${this.log}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Whether it leads its ensemble now. */
  async leads(): Promise<boolean> {
    return (await this.ask("srvr")).includes("Mode: leader");
  }

  /** Whether clients of this session are connected to it. */
  async has(session: bigint): Promise<boolean> {
    return (await this.ask("cons")).includes(`sid=0x${session.toString(16)},`);
  }

  /** What it answers to one of its four-letter words; "" when nobody answers. */
  ask(word: string): Promise<string> {
    return new Promise((resolve) => {
      let text = "";
      const socket = connect({ host: "127.0.0.1", port: this.port });
      socket.setTimeout(5_000, () => socket.destroy());
      socket.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      socket.on("error", () => socket.destroy());
      socket.on("close", () => resolve(text));
      socket.on("connect", () => socket.write(word));
    });
  }

  async kill(): Promise<void> {
    const { child } = this;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  }

  /** SIGSTOP and SIGCONT. */
  pause(): void {
    this.child?.kill("SIGSTOP");
  }

  resume(): void {
    this.child?.kill("SIGCONT");
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
