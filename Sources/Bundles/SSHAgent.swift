import Files
package import SystemPackage

/// A running ssh-agent, asked over its socket (draft-ietf-sshm-ssh-agent): which keys it holds, and to sign with one.
///
/// 1. Every answer is of the one type that the question allows, is read to its last byte, and is bounded in bytes and time.
/// 2. A signature is checked against the key before it is used: what the agent says is not believed.
package struct SSHAgent: Sendable {
    /// Of one answer. OpenSSH's agent sends no more.
    private static let answerBytes = 256 * 1024
    /// An agent may ask a person, or a token that waits to be touched.
    private static let patience = 30
    private static let requestIdentities: UInt8 = 11
    private static let identitiesAnswer: UInt8 = 12
    private static let signRequest: UInt8 = 13
    private static let signResponse: UInt8 = 14
    private static let failure: UInt8 = 5
    private static let maximumKeys: UInt32 = 4096
    package static let variable = "SSH_AUTH_SOCK"

    /// nil where nobody said where the agent is.
    let socket: FilePath?
    private let seconds: Int

    package init(socket: FilePath?, seconds: Int? = nil) {
        self.socket = socket
        self.seconds = seconds ?? Self.patience
    }

    /// The agent of `SSH_AUTH_SOCK`.
    package static func ofEnvironment() -> SSHAgent { SSHAgent(socket: LocalSocket.named(by: variable)) }

    /// - Throws: `agentUnavailable` unless the agent answers and holds this key.
    func require(_ key: PublicKey) throws(BundleError) {
        guard try keys().contains(key.blob) else {
            throw unavailable("does not hold the key \(key.fingerprint); add it with ssh-add")
        }
    }

    /// - Returns: 64 bytes.
    func sign(_ message: [UInt8], with key: PublicKey) throws(BundleError) -> [UInt8] {
        var question = SSHWriter()
        question.raw([Self.signRequest])
        question.string(key.blob)
        question.string(message)
        question.number(0)
        var answer = SSHReader(try ask(question.bytes))
        let type = answer.raw(1)
        if type == [Self.failure] {
            throw unavailable("would not sign with the key \(key.fingerprint); add it with ssh-add, and unlock it")
        }
        guard type == [Self.signResponse], let blob = answer.string(), answer.isAtEnd else {
            throw unavailable("answered with something that is no signature")
        }
        var inner = SSHReader(blob)
        guard inner.text() == PublicKey.algorithm, let signature = inner.string(), inner.isAtEnd,
            key.verifies(signature, of: message)
        else { throw unavailable("answered with a signature that is not of the key \(key.fingerprint)") }
        return signature
    }

    /// The encodings of all its keys, of whatever type.
    private func keys() throws(BundleError) -> [[UInt8]] {
        var answer = SSHReader(try ask([Self.requestIdentities]))
        guard answer.raw(1) == [Self.identitiesAnswer], let count = answer.number(), count <= Self.maximumKeys else {
            throw unavailable("answered with something that is no list of keys")
        }
        var keys: [[UInt8]] = []
        for _ in 0..<count {
            guard let blob = answer.string(), answer.string() != nil else {
                throw unavailable("answered with a list of keys that is cut short")
            }
            keys.append(blob)
        }
        guard answer.isAtEnd else { throw unavailable("answered with more than a list of keys") }
        return keys
    }

    private func ask(_ question: [UInt8]) throws(BundleError) -> [UInt8] {
        guard let socket else {
            throw BundleError(
                .agentUnavailable,
                "the key is in an ssh-agent, and \(Self.variable) does not say where that is; start one, or set it "
                    + "(a crontab has lines for that)")
        }
        do {
            return try LocalSocket.ask(question, at: socket, seconds: seconds, limit: Self.answerBytes)
        } catch {
            throw BundleError(.agentUnavailable, "the ssh-agent of \(Self.variable) cannot be used: \(error)")
        }
    }

    private func unavailable(_ what: String) -> BundleError {
        BundleError(.agentUnavailable, "the ssh-agent at \(socket?.string ?? "?") \(what)")
    }
}
