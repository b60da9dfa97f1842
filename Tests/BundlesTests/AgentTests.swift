import Bundles
import Files
import Foundation
import Glibc
import SystemPackage
import Testing

/// An agent that answers every connection with the same bytes, to see what is believed of it. It listens as long as the
/// value lives.
private final class FakeAgent: Sendable {
    let socket: FilePath
    private let descriptor: Int32

    /// - Parameter answer: made of the question without its length; nil to say nothing and keep the line open.
    init(_ answer: @escaping @Sendable ([UInt8]) -> [UInt8]?) throws {
        socket = FilePath("/tmp/consilium-agent-\(UInt64.random(in: .min ... .max))")
        let listener = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        descriptor = listener
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = Array(socket.string.utf8)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, size) }
        }
        try #require(bound == 0 && listen(listener, 8) == 0)
        Thread.detachNewThread {
            while true {
                let peer = accept(listener, nil, nil)
                // Only here: a number that somebody else closed may be another agent's by now, whose questions would come here.
                guard peer >= 0 else { return _ = close(listener) }
                var question = [UInt8](repeating: 0, count: 4096)
                let count = recv(peer, &question, question.count, 0)
                if let bytes = answer(Array(question.prefix(max(0, count)).dropFirst(4))) {
                    _ = send(peer, bytes, bytes.count, Int32(MSG_NOSIGNAL))
                    close(peer)
                }
            }
        }
    }

    deinit {
        shutdown(descriptor, Int32(SHUT_RDWR))
        unlink(socket.string)
    }
}

/// As agents frame it.
private func framed(_ bytes: [UInt8]) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: bytes.count >> (24 - 8 * $0)) } + bytes
}

private func reason(_ body: () throws -> Void) -> BundleError.Reason? {
    do {
        try body()
        return nil
    } catch { return (error as? BundleError)?.reason }
}

/// Signing by an ssh-agent, as far as it needs no real one; `AgentCommandTests` has that.
@Suite struct AgentTests {
    private let own = SigningKey.generate()

    /// - Parameter seconds: long, since the agent's thread may wait for its turn while all tests run.
    private func inAgent(_ agent: FakeAgent, seconds: Int = 60) -> SigningKey {
        SigningKey(publicKey: own.publicKey, agent: SSHAgent(socket: agent.socket, seconds: seconds))
    }

    @Test func withoutAnAgentNothingIsSigned() {
        let lost = SigningKey(publicKey: own.publicKey, agent: SSHAgent(socket: nil))
        #expect(reason { _ = try lost.sign([1], namespace: "update@consilium") } == .agentUnavailable)
        let nowhere = SigningKey(publicKey: own.publicKey, agent: SSHAgent(socket: "/nowhere/agent"))
        #expect(reason { try nowhere.requireUsable() } == .agentUnavailable)
        let long = FilePath("/" + String(repeating: "x", count: 200))
        let far = SigningKey(publicKey: own.publicKey, agent: SSHAgent(socket: long))
        #expect(reason { try far.requireUsable() } == .agentUnavailable)
        #expect(reason { try own.requireUsable() } == nil)
    }

    /// Another type, cut short, too long, with something after its end, of another key: never believed.
    @Test(
        arguments: [
            [], [5], [12], [14], [14, 0, 0, 0, 0], [14, 0, 0, 0, 200], [14, 0xff, 0xff, 0xff, 0xff],
            [12, 0xff, 0xff, 0xff, 0xff], [12, 0, 0, 0, 1], [12, 0, 0, 0, 0], [12, 0, 0, 0, 0, 0],
            [12, 0, 0, 0, 1, 0, 0, 0, 1, 7], [6, 1, 2, 3],
        ] as [[UInt8]]) func aStrangeAnswerIsNotBelieved(answer: [UInt8]) throws
    {
        let agent = try FakeAgent { _ in framed(answer) }
        #expect(reason { _ = try inAgent(agent).sign([1, 2], namespace: "update@consilium") } == .agentUnavailable)
        #expect(reason { try inAgent(agent).requireUsable() } == .agentUnavailable)
    }

    @Test func aSignatureOfAnotherKeyOrMessageIsNotUsed() throws {
        let fixed: [UInt8] = [14] + framed(framed(Array("ssh-ed25519".utf8)) + framed([UInt8](repeating: 9, count: 64)))
        let agent = try FakeAgent { _ in framed(fixed) }
        #expect(reason { _ = try inAgent(agent).sign([1, 2], namespace: "update@consilium") } == .agentUnavailable)
    }

    /// Its length alone refuses it; and who says nothing, or only half, is not waited for.
    @Test func anAgentThatFloodsOrFallsSilentIsLeft() throws {
        let flood = try FakeAgent { _ in [0x7f, 0xff, 0xff, 0xff] + [UInt8](repeating: 1, count: 1000) }
        #expect(reason { try inAgent(flood).requireUsable() } == .agentUnavailable)
        let half = try FakeAgent { _ in [0, 0, 0, 9, 12] }
        #expect(reason { try inAgent(half).requireUsable() } == .agentUnavailable)
        let silent = try FakeAgent { _ in nil }
        let before = ContinuousClock.now
        #expect(reason { try inAgent(silent, seconds: 1).requireUsable() } == .agentUnavailable)
        #expect(ContinuousClock.now - before < .seconds(30))
    }

    /// The question is the agent protocol's, byte by byte.
    @Test func theQuestionIsASignRequest() throws {
        let asked = Asked()
        let agent = try FakeAgent { question in
            asked.note(question)
            return framed([5])
        }
        _ = withExtendedLifetime(agent) { try? inAgent(agent).sign(Array("m".utf8), namespace: "n") }
        let question = asked.all.first ?? []
        #expect(question.first == 13)
        #expect(Array(question.suffix(4)) == [0, 0, 0, 0])
        let data = Array("SSHSIG".utf8) + framed(Array("n".utf8)) + framed([]) + framed(Array("sha512".utf8))
        #expect(question.firstRange(of: data) != nil)
    }
}

private final class Asked: @unchecked Sendable {
    private let lock = NSLock()
    private var questions: [[UInt8]] = []
    func note(_ question: [UInt8]) { lock.withLock { questions.append(question) } }
    var all: [[UInt8]] { lock.withLock { questions } }
}
