// SPDX-License-Identifier: GPL-2.0-only
#include "nr-eigen-beamformer.h"

namespace edgelam::nr {

NS_OBJECT_ENSURE_REGISTERED(EigenBeamformer);

ns3::TypeId EigenBeamformer::GetTypeId() {
    static const ns3::TypeId tid = ns3::TypeId("edgelam::nr::EigenBeamformer")
                                       .SetParent<WidebandBeamformer>()
                                       .SetGroupName("Edgelam")
                                       .AddConstructor<EigenBeamformer>();
    return tid;
}

} // namespace edgelam::nr
