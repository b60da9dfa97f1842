/// Where the pictures come from. The trainer calls `fill` from several threads at once, and ahead of need.
package protocol PictureSource: Sendable {
    var count: Int { get }

    /// The class index of a picture, `0..<classes`.
    func label(_ index: Int) -> Int

    /// The node of the network whose values these are: nil for pictures, the freeze boundary for ``FeatureSet``. What
    /// comes before that node is not computed.
    var boundary: String? { get }

    /// Writes one picture: HWC floats, normalised as ``ModelSpecification/normalization`` says.
    ///
    /// - Parameter epoch: seeds the augmentation together with the index; nil asks for the picture as it is. The result
    ///   must depend on `index` and `epoch` only.
    func fill(_ index: Int, epoch: Int?, into picture: UnsafeMutableBufferPointer<Float>) throws
}

extension PictureSource {
    package var boundary: String? { nil }
}
