import CKernels

/// The vector instructions that the kernels are built for. Each gives the same bytes for any number of workers; between
/// two of them the last bits differ, because their tiles sum in different orders.
package enum InstructionSet: String, CaseIterable, Sendable {
    /// Portable code without fused multiply-add: the same bytes on every processor.
    case scalar
    case avx2
    case avx512
    case neon

    /// Whether this build holds the kernels and this processor can run them.
    package var isSupported: Bool { ck_kernels_for(number) != nil }

    /// The fastest that is supported.
    package static var best: InstructionSet {
        [.avx512, .avx2, .neon].first(where: \.isSupported) ?? .scalar
    }

    /// The kernels of a supported instruction set.
    var kernels: UnsafePointer<ck_kernels> {
        guard let table = ck_kernels_for(number) else { preconditionFailure("this processor has no \(rawValue)") }
        return table
    }

    /// The same by value: constants, which parallel closures may capture.
    var table: ck_kernels { kernels.pointee }

    private var number: Int32 {
        switch self {
        case .scalar: Int32(CK_SCALAR)
        case .avx2: Int32(CK_AVX2)
        case .avx512: Int32(CK_AVX512)
        case .neon: Int32(CK_NEON)
        }
    }
}
